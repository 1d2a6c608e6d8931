"""Content negotiation: which media type a client prefers (RFC 9110, section 12.5.1)."""

import re

_RANGE = re.compile(r"\s*([\w!#$&^.+*-]+)/([\w!#$&^.+*-]+)\s*(?:;(.*))?", re.ASCII)
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def preferred_type(accept: str, *offers: str) -> str:
    """Returns the media type that a client prefers.

    Args:
        accept: The value of the header `Accept`, "" if there is none. Malformed parts are ignored.
        offers: The media types that can be sent, in lower case. The first wins a tie, and if none is acceptable.
    """
    weights: dict[str, float] = {}
    for found in filter(None, map(_RANGE.fullmatch, accept.lower().split(","))):
        weights.setdefault(f"{found[1]}/{found[2]}", _weight(found[3] or ""))

    def quality(offer: str) -> float:
        # The most specific range decides.
        return next((weights[each] for each in (offer, f"{offer.partition('/')[0]}/*", "*/*") if each in weights), 0.0)

    return max(offers, key=quality)


def _weight(parameters: str) -> float:
    """Returns the weight among the parameters of a media range; 1 if there is none, 0 if it is malformed."""
    for parameter in map(str.strip, parameters.split(";")):
        if parameter[:2] == "q=":
            found = _WEIGHT.fullmatch(parameter)
            return float(found[1]) if found else 0.0
    return 1.0
