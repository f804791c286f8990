"""A run's net for other programs: ONNX, or safetensors with a model card."""
