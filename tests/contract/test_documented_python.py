"""Python in the documents: it compiles, what it imports exists, and no name in it comes from nowhere."""

from __future__ import annotations

import ast
import builtins
import importlib

import pytest
import torch
from documents import code_blocks
from written_commands import blocks

BLOCKS = [block for block in blocks() if block.language == "python"]
# What the text beside a block says its reader has: images, features and arrays of their own.
GIVEN = {
    "docs/architecture.md": {"images"},
    "docs/evaluation.md": {
        "query_gallery", "query_query", "gallery_gallery", "query_features", "gallery_features", "query_identities",
        "gallery_identities", "query_cameras", "gallery_cameras",
    },
    "docs/methods/il.md": {"images"},
    "docs/search.md": {"embeddings", "queries", "Path", "parts", "k", "np"},
}  # fmt: skip


def document_of(block):
    return block.place.rpartition(":")[0]


def bound(tree):
    """Names that a block gives a meaning: imports, definitions, arguments, assignments."""
    for node in ast.walk(tree):
        match node:
            case ast.alias():
                yield (node.asname or node.name).partition(".")[0]
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id


def test_there_are_blocks():
    assert len(BLOCKS) >= 20
    assert set(GIVEN) <= {document_of(block) for block in BLOCKS}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_it_compiles_and_its_imports_exist(block):
    tree = ast.parse(block.text)
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name: importlib.import_module(alias.name) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert hasattr(modules[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_no_name_comes_from_nowhere(block):
    before = [one for one in BLOCKS[: BLOCKS.index(block) + 1] if document_of(one) == document_of(block)]
    known = {name for one in before for name in bound(ast.parse(one.text))}
    known |= set(dir(builtins)) | GIVEN.get(document_of(block), set())
    used = {node.id for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Name)}
    assert used <= known


def test_the_net_of_one_s_own_is_one():
    (text,) = code_blocks("docs/your_net.md", "python")
    names: dict[str, object] = {}
    exec(compile(text, "your_net.md", "exec"), names)
    net = names["resnet18_reid"](neck_bias="trainable")
    features = net(torch.randn(2, 3, 64, 32))
    assert features.pooled.shape == features.neck.shape == features.embedding.shape == (2, 512)
    assert "backbone.layer1" in dict(net.named_modules())
    assert net.neck.bias.requires_grad
