"""From an identity and a pose to the solids and cloths to render.

Widths are shares of the standing height unless a name says metres. Every garment is its
own solid a little outside the body; what it hides is not modelled.
"""

from __future__ import annotations

from personsearch.datasets.synthetic.appearance import Appearance
from personsearch.datasets.synthetic.body_head import add_head
from personsearch.datasets.synthetic.body_limbs import add_arms, add_bag, add_legs
from personsearch.datasets.synthetic.body_trunk import add_trunk
from personsearch.datasets.synthetic.builder import Body, Builder
from personsearch.datasets.synthetic.pose import Pose, skeleton


def build_body(person: Appearance, pose: Pose) -> Body:
    """The solids of ``person`` in ``pose``, soles on the ground, facing z."""
    bones = skeleton(pose, person.height, width=person.build**0.5, child=person.child)
    build = Builder()
    add_head(build, person, bones)
    add_trunk(build, person, bones)
    add_arms(build, person, bones)
    add_legs(build, person, bones)
    add_bag(build, person, bones)
    return build.done(person.height)
