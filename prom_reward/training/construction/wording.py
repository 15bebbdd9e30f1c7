"""The same definition in other words."""

import random
import re

_SAME = (
    ("someone who", "a person who"),
    ("a person who", "somebody who"),
    ("a person", "an individual"),
    ("small", "little"),
    ("large", "big"),
    ("used for", "employed for"),
    ("used to", "that serves to"),
    ("the act of", "the action of"),
    ("the quality of", "the property of"),
    ("the state of", "the condition of"),
    ("having", "with"),
    ("consisting of", "made up of"),
    ("made of", "built from"),
    ("any of various", "one of several"),
    ("any of several", "one of various"),
    ("a kind of", "a sort of"),
    ("a piece of", "a bit of"),
    ("a group of", "a set of"),
    ("relating to", "to do with"),
    ("a place where", "a location at which"),
    ("without", "lacking"),
    ("caused by", "that comes from"),
    ("an area", "a region"),
    ("a device", "an instrument"),
    ("a container", "a vessel"),
    ("the branch of", "the part of"),
    ("native to", "that comes from"),
    ("especially", "above all"),
    ("usually", "mostly"),
    ("often", "frequently"),
)


def reworded(text: str, draw: random.Random) -> str:
    """Return a text with some of its phrases replaced by others of the same meaning."""
    for phrase, other in draw.sample(_SAME, len(_SAME)):
        if draw.random() < 0.8:
            text = re.sub(rf"\b{phrase}\b", other, text, count=1)
    return text
