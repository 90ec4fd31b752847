"""How fingers slip."""

from __future__ import annotations

from random import Random

BESIDE = dict(zip("abcdefghijklmnopqrstuvwxyz", "svxfrghjoklknmpowtdyicezux", strict=True))


def misspelt(word: str, rng: Random) -> str:
    """The word with one slip: a letter left out, typed twice, swapped with the next, or the key beside it hit."""
    letters = [place for place, letter in enumerate(word) if letter.isalpha()]
    if not letters:
        return word + "x"
    slips = [_left_out, _twice, _swapped, _beside]
    rng.shuffle(slips)
    for slip in slips:
        made = slip(word, rng.choice(letters))
        if made not in ("", word):
            return made
    return word + "x"


def _left_out(word: str, place: int) -> str:
    return word[:place] + word[place + 1 :] if len(word) > 2 else ""


def _twice(word: str, place: int) -> str:
    return word[: place + 1] + word[place:]


def _swapped(word: str, place: int) -> str:
    return word[:place] + word[place : place + 2][::-1] + word[place + 2 :]


def _beside(word: str, place: int) -> str:
    return word[:place] + BESIDE.get(word[place].lower(), "x") + word[place + 1 :]
