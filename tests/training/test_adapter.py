from torch import nn

from prom_reward.training.adapter import _frozen_below


class Layered(nn.Module):
    """Three layers under the name that transformers gives them, and a head."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
        self.head = nn.Linear(2, 2)


def test_the_first_layers_are_frozen_and_nothing_else():
    model = _frozen_below(nn.ModuleDict({"model": Layered()}), 2)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained == {f"model.{part}.{name}" for part in ("layers.2", "head") for name in ("weight", "bias")}
