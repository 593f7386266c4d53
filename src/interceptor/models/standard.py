"""The head of a standard specialist: what is trained on cached tokens of the base and half lenses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from interceptor.models import lags
from interceptor.models.branches import GRID, ModuleSpec
from interceptor.models.specialist import SpecialistHead

SMALL_HIDDEN = (512, 256, 128)
"""The classifier of a standard specialist, six of which ship together."""
QUIET = 0.02
"""Share of a standardised token that its network is given, unless asked for more. Three thousand of them at full
strength drown the lens: from a few hundred pairs a network learns its training faces by heart and never hears it."""
LIMIT = 5.0
"""Standard deviations at which what is seen through the lens is cut off."""
POSITION = 0.5
"""Standard deviation of the position embedding at first: what a lens shows means something else at each place."""


class StandardHead(SpecialistHead):
    """Token fusion that sees its lens twice, through the module and as statistics of its places, and beside it a linear
    read-out of one vector.

    The read-out is fitted in closed form and then stays (`training/specialists/readout.py`). The network beside it
    starts at 0 and is trained by itself: what a read-out says of the faces it was fitted on is too good to be added to.
    Within the network tokens and module start at 0 too, so that statistics, which need no learning, are heard first.
    """

    readout: Tensor
    offset: Tensor
    quiet: Tensor
    statistics_mean: Tensor
    statistics_std: Tensor
    module_mean: Tensor
    module_std: Tensor

    def __init__(self, spec: ModuleSpec, backbone_width: int) -> None:
        count = spec.statistics.width
        super().__init__(spec, backbone_width, "tokens", hidden=SMALL_HIDDEN, beside=count)
        self.register_buffer("readout", torch.zeros(lags.WIDTH if self.reads_lags else backbone_width))
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("quiet", torch.tensor(QUIET))
        self.register_buffer("statistics_mean", torch.zeros(count, GRID, GRID))
        self.register_buffer("statistics_std", torch.ones(count, 1, 1))
        self.register_buffer("module_mean", torch.zeros(spec.channels, 1, 1))
        self.register_buffer("module_std", torch.ones(spec.channels, 1, 1))
        nn.init.zeros_(self.fusion.tokens.weight)
        nn.init.zeros_(self.fusion.features.weight[:, : spec.channels])
        nn.init.normal_(self.fusion.position, std=POSITION)
        for parameter in self.classifier[-1].parameters():
            nn.init.zeros_(parameter)

    @property
    def reads_lags(self) -> bool:
        """Whether the read-out reads the lens."""
        return self.spec.reads_lags

    @property
    def has_network(self) -> bool:
        """Whether the network says anything: one that was not trained, or was no better than the read-out, does not."""
        return bool(self.classifier[-1].weight.any() or self.classifier[-1].bias.any())

    @property
    def has_module(self) -> bool:
        """Whether the network listens to its module, and not to the statistics of the lens alone."""
        return self.has_network and bool(self.fusion.features.weight[:, : self.spec.channels].any())

    @property
    def reads_lens(self) -> bool:
        """Whether what it says rests on its lens."""
        return self.reads_lags or self.has_network

    @torch.no_grad()
    def standardise(self, tokens: Tensor, lens: Tensor, quiet: float = QUIET) -> None:
        """Bring what it reads to one scale, by some training samples: tokens float[m, 49, width], of which the network
        is given the share `quiet`, and lenses float32[k, 3, h, w].
        """
        tokens = tokens.float().flatten(0, 1)
        self.fusion.mean.copy_(tokens.mean(0))
        self.fusion.std.copy_(tokens.std(0).clamp_min(1e-3) / quiet)
        self.quiet.fill_(quiet)
        statistics = self.spec.statistics.of(lens)
        self.statistics_mean.copy_(statistics.mean(0))
        self.statistics_std.copy_(statistics.std((0, 2, 3)).clamp_min(1e-3)[:, None, None])

    @torch.no_grad()
    def standardise_module(self, lens: Tensor) -> None:
        """The same for what its module makes of lenses float32[k, 3, h, w]."""
        state = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        made = self.module.train()(lens.contiguous(memory_format=torch.channels_last))
        self.module.load_state_dict(state)  # of its batch norms, that look does not count
        self.module_mean.copy_(made.mean((0, 2, 3))[:, None, None])
        self.module_std.copy_(made.std((0, 2, 3)).clamp_min(1e-3)[:, None, None])

    def view(self, pooled: Tensor, lens: Tensor) -> Tensor:
        """What the read-out reads, `[n, len(readout)]`: the mean token, or of lenses their lags."""
        return lags.lag_view(lens) if self.reads_lags else pooled

    @property
    def scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation by which that is standardised; lags stay as they are."""
        if self.reads_lags:
            return torch.zeros_like(self.readout), torch.ones_like(self.readout)
        return self.fusion.mean, self.fusion.std * self.quiet

    def forward(
        self, tokens: Tensor, pooled: Tensor, lens: Tensor, *, network: bool = True, module: bool = True
    ) -> Tensor:
        """As the full head's; `pooled` is the mean of the tokens. A network or module that says nothing (`has_network`,
        `has_module`) may be left out.
        """
        said = self.read_out(pooled, lens)
        return said + self.network(tokens, pooled, lens, module=module) if network else said

    def read_out(self, pooled: Tensor, lens: Tensor) -> Tensor:
        """The logits `[n, 2]` of the read-out alone."""
        mean, std = self.scale
        said = ((self.view(pooled, lens) - mean) / std * self.readout).sum(1) + self.offset
        return torch.stack([-said, said], 1) / 2

    def network(self, tokens: Tensor, pooled: Tensor, lens: Tensor, *, module: bool = True) -> Tensor:
        """The logits `[n, 2]` without the read-out, and, if wished, as if its module made nothing of the lens."""
        return self.classifier(self.fusion(tokens, pooled, self.seen(lens, module=module)))

    def seen(self, lens: Tensor, *, module: bool = True) -> Tensor:
        """What the module makes of the lens (or 0) and its statistics, standardised, `[n, channels + width, 7, 7]`."""
        statistics = (self.spec.statistics.of(lens) - self.statistics_mean) / self.statistics_std
        if module:
            made = (self.module(lens) - self.module_mean) / self.module_std
        else:
            made = statistics.new_zeros(statistics.shape[0], self.spec.channels, GRID, GRID)
        return torch.cat([made, statistics], 1).clamp(-LIMIT, LIMIT)
