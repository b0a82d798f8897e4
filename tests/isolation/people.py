"""Who is whose, in a page: which people stand behind users and keys, and what each of them comes to."""

from dataclasses import dataclass, field


@dataclass
class Employee:
    """A person; or, until it has chosen its own password, the other hand of who chose it."""

    role: str
    password_of: str | None = None
    partner: bool = False  # has that role as well
    deleted: bool = False  # whoever knew its password still stands behind what it did


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
    authors: dict[str, str] = field(default_factory=dict)  # version in review → who submitted it
    conversations: dict[str, str] = field(default_factory=dict)  # conversation → who began it

    def person(self, principal: str) -> str:
        """Who stands behind a user or key."""
        user = self.keys[principal].owner if principal in self.keys else principal
        chosen_by = self.users[user].password_of
        return user if chosen_by is None else self.person(chosen_by)

    def behind(self, user: str) -> list[str]:
        """Everybody who may act as a user: itself, who chose its password, who chose that one's."""
        chosen_by = self.users[user].password_of
        return [user, *([] if chosen_by is None else self.behind(chosen_by))]

    def controls(self, caller: str, principal: str) -> bool:
        knows = {principal} | (self.keys[principal].knowers if principal in self.keys else set())
        return self.person(caller) in {self.person(each) for each in knows}

    def reads(self, principal: str) -> bool:
        grant = self.grants.get(principal)
        if principal in self.keys:
            return grant is not None and (grant.beyond_owner or self.reads(self.keys[principal].owner))
        if grant is None and not (self.users[principal].partner and self.partners_read):
            return False
        chosen_by = self.users[principal].password_of
        return chosen_by is None or self.reads(chosen_by)

    def may_grant(self, caller: str, principal: str) -> bool:
        """A key of its own, it may give what it reads itself; else only what it does not come to thereby."""
        own_key = principal in self.keys and self.keys[principal].owner == caller
        return not self.controls(caller, principal) or (own_key and self.reads(caller))

    def may_grant_to_partners(self, caller: str) -> bool:
        return not any(self.users[user].partner for user in self.behind(caller))

    def may_change_roles(self, caller: str, user: str) -> bool:
        return user not in self.behind(caller)

    def may_hand_over(self, caller: str, key: str) -> bool:
        return self.person(caller) != self.person(self.keys[key].owner)

    def may_approve(self, caller: str, version: str) -> bool:
        return self.reads(caller) and self.person(caller) != self.person(self.authors[version])
