import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.synthetic.draws import generator
from dgreid.synthetic.person import Body
from dgreid.synthetic.pose import SHOULDER, Joint, Pose, View, draw_pose

BODY = Body(height=1.0, build=1.0, shoulders=0.11, hips=0.08, legs=0.48, head=0.06)
joints = st.builds(Joint, *(st.floats(-1, 1),) * 3)
angles = st.floats(0, 6.28)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(joints, angles, st.floats(0, 0.5))
def test_projection_is_a_rotation(joint, yaw, pitch):
    turned = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]) @ joint
    tilted = turned[1] * math.cos(pitch) - turned[2] * math.sin(pitch)
    view = View(yaw, pitch)
    assert view.point(joint) == pytest.approx((turned[0], tilted), abs=1e-5)
    assert view.depth(joint) == pytest.approx(turned[2], abs=1e-5)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(joints, angles)
def test_from_behind_left_is_right_and_near_is_far(joint, yaw):
    front, back = View(yaw, 0.0), View(yaw + math.pi, 0.0)
    assert front.point(joint).x == pytest.approx(-back.point(joint).x, abs=1e-5)
    assert front.depth(joint) == pytest.approx(-back.depth(joint), abs=1e-5)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(angles, st.floats(0, 0.5), st.sampled_from([-1, 1]))
def test_legs_keep_their_length(phase, stride, side):
    leg = Pose(phase, stride, 0.3, (0.2, 0.2)).leg(BODY, side)
    assert math.dist(leg.root, leg.bend) == pytest.approx(0.52 * BODY.legs, abs=1e-5)
    shin = Joint(leg.tip.x - 0.9 * leg.root.x, leg.tip.y - leg.bend.y, leg.tip.z - leg.bend.z)
    assert math.hypot(*shin) == pytest.approx(0.40 * BODY.legs, abs=1e-5)
    assert leg.tip.y > 0.0


def test_legs_and_arms_swing_against_each_other():
    pose = Pose(phase=math.pi / 2, stride=0.4, swing=0.4, elbows=(0.1, 0.1))
    left, right = (pose.leg(BODY, side).bend.z for side in (1, -1))
    left_arm, right_arm = (pose.arm(BODY, side).bend.z for side in (1, -1))
    assert left > 0 > right
    assert left_arm < 0 < right_arm


def test_breadth_from_front_and_side():
    assert View(0.0, 0.0).breadth(0.12, 0.06) == pytest.approx(0.12)
    assert View(math.pi / 2, 0.0).breadth(0.12, 0.06) == pytest.approx(0.06)


def test_drawn_poses_differ_and_keep_the_shoulders():
    poses = [draw_pose(generator("pose", i)) for i in range(20)]
    assert len({pose.phase for pose in poses}) == 20
    assert all(pose.arm(BODY, 1).root.y == pytest.approx(SHOULDER, abs=0.05) for pose in poses)
