"""Who is whose, in a page: which people stand behind users and keys, and what each of them comes to."""

import math
from dataclasses import dataclass, field


@dataclass
class Employee:
    """A person; or, until another administrator vouches for it, the other hand of who made it or the link that set its password."""

    role: str
    counts_as: str | None = None
    chosen: bool = True  # whether its password was set by itself, or by a link
    made: int = 0  # in which hour
    partner: bool = False  # has that role as well
    deleted: bool = False  # whoever could act as it still stands behind what it did


@dataclass
class Key:
    """A key acts as its owner; whoever made its secret knows it. Handed over, it has none until it is rotated."""

    owner: str
    knowers: set[str]


@dataclass
class Grant:
    """That a principal reads the collection; a key also beyond its owner, if another person granted it."""

    beyond_owner: bool = False


@dataclass
class People:
    """One tenant, one collection that asks for approval, and nobody who reads it but by a grant."""

    users: dict[str, Employee] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    partners_read: bool = False  # whether the role has a grant
    authors: dict[str, tuple[str, int]] = field(
        default_factory=dict
    )  # version in review → who submitted it, in which hour
    ended: list[tuple[str, str, int]] = field(default_factory=list)  # user or key, as whom it counted, until which hour
    hour: int = 0
    conversations: dict[str, str] = field(default_factory=dict)  # conversation → who began it

    def behind(self, principal: str, since: float = math.inf) -> set[str]:
        """Everybody who stands behind what a principal did since an hour: itself, its owner, as whom it counts or counted then."""
        found, new = set(), {(principal, since)}
        while new:
            found |= new
            new = {hand for each, hour in new for hand in self._hands(each, hour)} - found
        return {each for each, _ in found}

    def _hands(self, principal: str, since: float) -> set[tuple[str, float]]:
        """The next ones, each with the hour since which it counts who stood behind them: of a maker, since it made the user."""
        if principal in self.keys:
            now, hour = self.keys[principal].owner, since
        else:
            now, hour = self.users[principal].counts_as, min(since, self.users[principal].made)
        earlier = [person for each, person, until in self.ended if each == principal and until >= since]
        return {(person, hour) for person in (now, *earlier) if person is not None}

    def end_hand(self, principal: str, person: str | None) -> None:
        if person is not None:
            self.ended.append((principal, person, self.hour))

    def is_second(self, caller: str, first: str, since: int | None = None) -> bool:
        hour = self.hour if since is None else since
        return not self.behind(caller, self.hour) & self.behind(first, hour)

    def controls(self, caller: str, principal: str) -> bool:
        knows = {principal} | (self.keys[principal].knowers if principal in self.keys else set())
        return any(self.behind(caller) & self.behind(each) for each in knows)

    def may_vouch(self, caller: str, user: str) -> bool:
        return self.users[user].chosen and self.is_second(caller, user)

    def reads(self, principal: str) -> bool:
        grant = self.grants.get(principal)
        if principal in self.keys:
            return grant is not None and (grant.beyond_owner or self.reads(self.keys[principal].owner))
        return all(self.is_granted(other) for other in self.behind(principal))

    def is_granted(self, user: str) -> bool:
        return user in self.grants or (self.users[user].partner and self.partners_read)

    def may_grant(self, caller: str, principal: str) -> bool:
        """A key of its own, it may give what it reads itself; else only what it does not come to thereby."""
        own_key = principal in self.keys and self.keys[principal].owner == caller
        return not self.controls(caller, principal) or (own_key and self.reads(caller))

    def may_grant_to_partners(self, caller: str) -> bool:
        return not any(self.users[user].partner for user in self.behind(caller))

    def may_change_roles(self, caller: str, user: str) -> bool:
        return user not in self.behind(caller)

    def may_hand_over(self, caller: str, key: str) -> bool:
        return self.is_second(caller, self.keys[key].owner)

    def may_approve(self, caller: str, version: str) -> bool:
        return self.reads(caller) and self.is_second(caller, *self.authors[version])
