"""Who may look at who complained, and who decides that: roles of the office, given and taken back by events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fieldkit import events
from fieldkit.errors import NotAllowed
from fieldkit.events import Event

#: May see who sent a complaint, saying why.
OPENER = "opener"
#: May do that, forget a person, and give and take back roles.
KEEPER = "keeper"
#: Every role with what it allows, in Chinese and English.
ROLES = {
    OPENER: ("可查看投诉人信息", "may see who sent a complaint"),
    KEEPER: ("可查看、删除投诉人信息并授予角色", "may see and forget who sent a complaint, and give roles"),
}


def holders(history: Iterable[Event]) -> dict[str, frozenset[str]]:
    """Fold the events of the office, in any order, into who has which roles now; who has none is left out."""
    found: dict[str, set[str]] = {}
    for event in sorted(history, key=lambda event: event.order):
        if event.kind == events.ROLE_GRANTED:
            found.setdefault(event.data["actor"], set()).add(event.data["role"])
        elif event.kind == events.ROLE_REVOKED:
            found.get(event.data["actor"], set()).discard(event.data["role"])
    return {actor: frozenset(roles) for actor, roles in found.items() if roles}


def check_allowed(actor: str, wanted: frozenset[str], who: Mapping[str, frozenset[str]]) -> None:
    """Raise :class:`~fieldkit.errors.NotAllowed` unless *actor* has one of the roles *wanted*."""
    if who.get(actor, frozenset()) & wanted:
        return
    able = sorted(name for name, roles in who.items() if roles & wanted)
    if not able:
        raise NotAllowed(
            f"{actor!r} has none of the roles that this needs ({', '.join(sorted(wanted))}), and nobody has. "
            "The vault was never used on this ledger."
        )
    raise NotAllowed(
        f"{actor!r} has none of the roles that this needs ({', '.join(sorted(wanted))}). "
        f"Ask one of: {', '.join(able)}."
    )


def check_change(kind: str, actor: str, role: str, who: Mapping[str, frozenset[str]]) -> None:
    """Raise :class:`~fieldkit.errors.NotAllowed` when giving or taking back this role changes nothing, or too much."""
    has = role in who.get(actor, frozenset())
    if not actor.strip():
        raise NotAllowed(
            "No name was given. Say whose role it is, as `actor` in that person's settings has it."
        )
    if kind == events.ROLE_GRANTED and has:
        raise NotAllowed(f"{actor!r} has the role {role} already; nothing was changed.")
    if kind == events.ROLE_REVOKED and not has:
        raise NotAllowed(f"{actor!r} does not have the role {role}; nothing was changed.")
    if kind == events.ROLE_REVOKED and role == KEEPER and sum(KEEPER in roles for roles in who.values()) == 1:
        raise NotAllowed(f"{actor!r} is the only keeper. Make somebody else one first.")
