"""Decides whether to ask the model hub, without minutes of retries if there is no network."""

import logging
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

_TIMEOUT_S, _TRIES = 3.0, 2


def is_local_only(name: str) -> bool:
    """Whether a name must be loaded from local files: a folder, or a hub id if the hub does not answer."""
    return Path(name).is_dir() or not hub_answers()


@cache
def hub_answers() -> bool:
    """Whether the hub answers; asked once a process, through the hub's own client and its proxies."""
    import huggingface_hub
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    for _ in range(_TRIES):
        try:
            huggingface_hub.get_session().head(constants.ENDPOINT, timeout=_TIMEOUT_S)
            return True
        except Exception as error:  # of whichever HTTP client the hub's client uses
            logger.info("%s does not answer: %s", constants.ENDPOINT, error)
    return False
