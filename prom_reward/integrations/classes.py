"""Classes on a framework's base class, which is imported when they are first used."""

from types import new_class


def on_base(name: str, own: type, base: type) -> type:
    """Return a class of `own` on a framework's base class; pickle and error messages find it under its name.

    Args:
        name: The class's name in the module of `own`.
        own: Its methods.
        base: The framework's class.
    """
    values = {"__module__": own.__module__, "__doc__": own.__doc__}
    return new_class(name, (own, base), exec_body=lambda namespace: namespace.update(values))
