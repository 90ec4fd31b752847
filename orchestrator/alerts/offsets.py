"""What may be committed: of each partition the longest stretch from its beginning whose every record is done."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass
class Progress:
    """One partition since it was assigned. `bytes` is what was read of it and is not done."""

    next: int | None = None
    committed: int | None = None
    bytes: int = 0
    _read: list[int] = field(default_factory=list)
    _open: set[int] = field(default_factory=set)
    _done: set[int] = field(default_factory=set)

    def read(self, offset: int, size: int) -> None:
        """A record was read; offsets come in order, gaps are fine."""
        heapq.heappush(self._read, offset)
        self._open.add(offset)
        self.bytes += size

    def done(self, offset: int, size: int) -> None:
        """A record is done; in any order. What was read before the partition left and came back does not count."""
        if offset not in self._open:
            return
        self._open.discard(offset)
        self._done.add(offset)
        self.bytes -= size
        while self._read and self._read[0] in self._done:
            self._done.discard(self._read[0])
            self.next = heapq.heappop(self._read) + 1

    def to_commit(self) -> int | None:
        """The offset to commit, where it moved."""
        if self.next is None or self.next == self.committed:
            return None
        return self.next


class Offsets:
    """The progress of every partition that is ours now; what is done for one that was taken away is forgotten."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], Progress] = {}

    def assigned(self, topic: str, partition: int) -> Progress:
        """A partition is ours, from now on."""
        return self._partitions.setdefault((topic, partition), Progress())

    def revoked(self, topic: str, partition: int) -> Progress | None:
        """A partition is no longer ours."""
        return self._partitions.pop((topic, partition), None)

    def of(self, topic: str, partition: int) -> Progress | None:
        """Its progress, if it is ours."""
        return self._partitions.get((topic, partition))

    def owned(self) -> list[tuple[str, int]]:
        """The partitions that are ours."""
        return list(self._partitions)

    @property
    def bytes(self) -> int:
        """What was read and is not done."""
        return sum(progress.bytes for progress in self._partitions.values())

    def to_commit(self) -> dict[tuple[str, int], int]:
        """Every partition whose offset moved, with the offset to commit."""
        return {
            place: offset
            for place, progress in self._partitions.items()
            if (offset := progress.to_commit()) is not None
        }

    def committed(self, offsets: dict[tuple[str, int], int]) -> None:
        """Kafka has these."""
        for place, offset in offsets.items():
            if place in self._partitions:
                self._partitions[place].committed = offset
