"""On which terms somebody was looked for: kept with a search, so that it can be asked again as it was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from personsearch.gallery.filters import Filter
from personsearch.gallery.searching import Asked, Order
from personsearch.ranking.kreciprocal import KReciprocalRules


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How many hits were asked for, of whom, and in which order.

    Attributes:
        asked: how many hits, and who is searched.
        order: how they are put in order.
        own: the pictures of the person's examples are answers, too.

    >>> Terms.from_json(Terms(asked=Asked(k=3), own=True).to_json()) == Terms(asked=Asked(k=3), own=True)
    True
    """

    asked: Asked = field(default_factory=Asked)
    order: Order = field(default_factory=Order)
    own: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        asked = {name: getattr(self.asked, name) for name in ("k", "per", "min_score", "exact")}
        return {
            "asked": {**asked, "where": self.asked.where.to_json()},
            "order": asdict(self.order),
            "own": self.own,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Terms:
        """What :meth:`to_json` made; without ``order``, as files were once, that of similarity.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is something else.
        """
        kept: dict[str, Any] = dict(value["asked"]["where"])
        where: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()}
        asked = Asked(
            k=int(value["asked"]["k"]),
            per=value["asked"]["per"],
            min_score=float(value["asked"]["min_score"]),
            exact=bool(value["asked"]["exact"]),
            where=Filter(**where),
        )
        order = Order()
        if value.get("order") is not None:
            known: dict[str, Any] = dict(value["order"])
            order = Order(**{**known, "rules": KReciprocalRules(**known["rules"])})
        return Terms(asked=asked, order=order, own=bool(value["own"]))
