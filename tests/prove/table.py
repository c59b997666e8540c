"""What was proven, how often, and what failed: one row a property."""

from dataclasses import dataclass, field

from rich.table import Table


@dataclass
class Property:
    """A property under trial."""

    name: str
    tries: int = 0
    failed: int = 0
    not_tried: str | None = None  # why it could not be tried on this machine

    def count(self, tries: int, *, failed: bool) -> None:
        """Count tries, all of them as failed if one of them did: they share one library."""
        self.tries += tries
        self.failed += tries if failed else 0


@dataclass
class Results:
    """All properties, in the order in which they were first tried, and the worst times."""

    properties: dict[str, Property] = field(default_factory=dict)
    drains_s: list[float] = field(default_factory=list)
    settles_s: list[float] = field(default_factory=list)

    def count(self, name: str, tries: int = 1, *, failed: bool) -> None:
        """Count tries of a property."""
        self.properties.setdefault(name, Property(name)).count(tries, failed=failed)

    def not_tried(self, name: str, reason: str) -> None:
        """Say why a property could not be tried on this machine."""
        self.properties[name] = Property(name, not_tried=reason)

    @property
    def has_failures(self) -> bool:
        """Whether anything failed, or nothing was tried."""
        rows = self.properties.values()
        return any(row.failed for row in rows) or not any(row.tries for row in rows)

    def table(self) -> Table:
        """Return the table to print."""
        table = Table("property", "tries", "failed")
        for row in self.properties.values():
            tries = f"not tried: {row.not_tried}" if row.not_tried else str(row.tries)
            table.add_row(row.name, tries, "" if row.not_tried else str(row.failed))
        return table
