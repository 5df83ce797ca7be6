import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ptft.models.adversarial import Discriminator, GanConfig, Generator
from ptft.training.adversarial import (
    AdversarialConfig,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    train_adversarial,
)
from ptft.training.loop import NonFiniteLossError

SIZES = GanConfig((2,), latent_size=3, d_hidden=8)
CONFIG = AdversarialConfig(steps=6, latent_size=3, log_every=1)
REAL, FAKE = torch.tensor([0.3, -2.0, 60.0]), torch.tensor([1.5, -90.0])


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def real_batch(step: int, draws: torch.Generator) -> torch.Tensor:
    return 2 + torch.randn(16, 2, generator=draws)


def pair() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return Generator(SIZES), Discriminator(SIZES)


def run(config=CONFIG, players=None, real=real_batch, lr=0.01, **others):
    g, d = pair() if players is None else players
    optimisers = tuple(torch.optim.SGD(m.parameters(), lr) for m in (g, d))
    return g, d, train_adversarial(g, d, real, optimisers, config, **others)


def numbers(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]


def test_log_losses_equal_the_cross_entropy_of_the_library():
    ones = torch.ones_like
    expected = F.binary_cross_entropy_with_logits(REAL, ones(REAL))
    expected += F.binary_cross_entropy_with_logits(FAKE, 0 * ones(FAKE))
    assert torch.allclose(discriminator_loss(REAL, FAKE, "saturating"), expected)
    assert torch.equal(
        discriminator_loss(REAL, FAKE, "saturating"),
        discriminator_loss(REAL, FAKE, "non_saturating"),
    )
    to_real = F.binary_cross_entropy_with_logits(FAKE, ones(FAKE))
    assert torch.allclose(generator_loss(FAKE, "non_saturating"), to_real)
    to_fake = F.binary_cross_entropy_with_logits(FAKE, 0 * ones(FAKE))
    assert torch.allclose(generator_loss(FAKE, "saturating"), -to_fake)


def test_a_blind_discriminator_loses_log_4():
    nothing = torch.zeros(5)
    assert discriminator_loss(nothing, nothing, "saturating").item() == pytest.approx(math.log(4))


def test_wasserstein_is_the_difference_of_means():
    assert discriminator_loss(REAL, FAKE, "wasserstein") == FAKE.mean() - REAL.mean()
    assert generator_loss(FAKE, "wasserstein") == -FAKE.mean()


@pytest.mark.parametrize("loss", ["saturating", "non_saturating"])
def test_gradients_per_score(loss):
    scores = torch.tensor([-3.0, 0.0, 2.0], requires_grad=True)
    generator_loss(scores, loss).backward()
    says_real = scores.detach().sigmoid()
    expected = says_real if loss == "saturating" else 1 - says_real
    assert torch.allclose(-3 * scores.grad, expected)


def test_the_penalty_of_a_plane_is_its_slope():
    plane = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    with torch.no_grad():
        plane[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    penalty = gradient_penalty(plane, torch.randn(7, 2), torch.randn(7, 2), draws())
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    penalty.backward()
    assert torch.allclose(plane[0].weight.grad, 2 * (5 - 1) * torch.tensor([[0.6, 0.8]]))


def test_the_penalty_looks_between_the_two_sets():
    seen = []

    class Watched(nn.Module):
        def forward(self, x):
            seen.append(x.detach())
            return x.square().flatten(1).sum(1)

    images = torch.full((50, 1, 2, 2), 4.0)
    gradient_penalty(Watched(), images, torch.zeros_like(images), draws())
    share = seen[0].flatten(1) / 4
    assert torch.equal(share, share[:, :1].expand(-1, 4))  # one weight for each image
    assert 0 <= share.min() < 0.1 and 0.9 < share.max() <= 1


def test_two_steps_equal_two_steps_by_hand():
    config = replace(CONFIG, steps=2, critic_steps=2, loss="saturating")
    g, d = pair()
    for step in range(config.steps):
        of_step = draws(step)
        for i in range(2):
            real = real_batch(2 * step + i, of_step)
            fake = g(torch.randn(16, 3, generator=of_step)).detach()
            loss = -torch.sigmoid(d(real)).log().mean() - (1 - torch.sigmoid(d(fake))).log().mean()
            d.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p in d.parameters():
                    p -= 0.01 * p.grad
        g.zero_grad()
        (1 - torch.sigmoid(d(g(torch.randn(16, 3, generator=of_step))))).log().mean().backward()
        with torch.no_grad():
            for p in g.parameters():
                p -= 0.01 * p.grad
    theirs = run(config)
    for mine, other in zip((g, d), theirs[:2], strict=True):
        for a, b in zip(mine.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b)


def test_the_same_seed_gives_the_same_run_and_evaluation_changes_nothing():
    def evaluate(generator):
        assert not generator.training
        return {"noise": torch.rand(1).item()}

    g, _, history = run()
    often, _, other = run(replace(CONFIG, evaluate_every=2), evaluate=evaluate)
    assert all(torch.equal(a, b) for a, b in zip(g.parameters(), often.parameters(), strict=True))
    assert numbers(history) == [row for row in numbers(other) if row["split"] == "train"]
    assert other.frame("validation").step.tolist() == [0, 2, 4, 6]
    assert numbers(run(replace(CONFIG, seed=1))[2]) != numbers(history)


def test_only_the_player_whose_turn_it_is_moves():
    g, d = pair()
    before = copy.deepcopy(g.state_dict()), copy.deepcopy(d.state_dict())
    still = torch.optim.SGD(g.parameters(), lr=0.0), torch.optim.SGD(d.parameters(), lr=0.1)
    train_adversarial(g, d, real_batch, still, CONFIG)
    assert all(torch.equal(v, before[0][k]) for k, v in g.state_dict().items())
    assert not torch.equal(d.state_dict()["layers.0.weight"], before[1]["layers.0.weight"])
    assert all(p.requires_grad for p in [*g.parameters(), *d.parameters()])


def test_clipping_holds_each_weight():
    config = replace(CONFIG, loss="wasserstein", constraint="clip", clip=0.02)
    _, d, _ = run(config)
    assert max(p.abs().max() for p in d.parameters()) <= 0.02


def test_without_a_constraint_the_article_s_formula_grows_and_with_one_it_does_not():
    config = AdversarialConfig(80, latent_size=3, loss="wasserstein", log_every=1)

    def against_a_still_generator(constraint):
        g, d = pair()
        still = torch.optim.SGD(g.parameters(), 0.0), torch.optim.SGD(d.parameters(), 0.05)
        rules = replace(config, constraint=constraint)
        losses = train_adversarial(g, d, real_batch, still, rules).frame("train")
        return losses.discriminator_loss.iloc[-10:].mean()

    assert -4 < against_a_still_generator("gradient_penalty") < -1  # the distance is about 2.8
    with pytest.raises(NonFiniteLossError, match="discriminator's loss became -inf"):
        against_a_still_generator("none")


def test_critic_steps_see_new_batches():
    seen = []

    def noted(step, draws):
        seen.append(step)
        return real_batch(step, draws)

    run(replace(CONFIG, steps=2, critic_steps=3), real=noted)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_the_schedule_scales_both_rates():
    g, d = pair()
    optimisers = tuple(torch.optim.SGD(m.parameters(), lr) for m, lr in ((g, 0.5), (d, 0.2)))
    train_adversarial(g, d, real_batch, optimisers, CONFIG, schedule=lambda step: 1 - step / 6)
    assert [o.param_groups[0]["lr"] for o in optimisers] == pytest.approx([0.5 / 6, 0.2 / 6])


def test_it_stops_when_a_loss_is_not_finite():
    def broken(step, draws):
        return real_batch(step, draws) * (math.nan if step == 4 else 1)

    with pytest.raises(NonFiniteLossError, match="discriminator's loss became nan at step 4"):
        run(real=broken)
    g, d = pair()
    with torch.no_grad():
        g.layers[0].weight.fill_(math.inf)
    with pytest.raises(NonFiniteLossError, match="loss became nan at step 0"):
        run(players=(g, d))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"critic_steps": 0}, "critic_steps must be at least 1, got 0"),
        ({"latent_size": 0}, "latent_size must be at least 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"seed": -1}, "seed must not be negative"),
        ({"clip": 0.0}, "clip must be positive"),
        ({"penalty": -1.0}, "penalty must be positive"),
        ({"loss": "hinge"}, "loss must be one of saturating, .*, got 'hinge'"),
        ({"constraint": "spectral"}, "constraint must be one of none, clip, .*, got 'spectral'"),
    ],
)
def test_impossible_rules(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_wrong_inputs():
    with pytest.raises(ValueError, match="loss must be one of"):
        discriminator_loss(REAL, FAKE, "minimax")
    with pytest.raises(ValueError, match="loss must be one of"):
        generator_loss(FAKE, "minimax")
    with pytest.raises(ValueError, match=r"one shape, got \(4, 2\) and \(3, 2\)"):
        gradient_penalty(pair()[1], torch.zeros(4, 2), torch.zeros(3, 2), draws())
    with pytest.raises(ValueError, match=r"makes \(16, 2\), real examples are \(16, 3\)"):
        run(real=lambda step, draws: torch.zeros(16, 3))
    with pytest.raises(ValueError, match=r"expected scores \(16,\), got \(16, 1\)"):
        run(players=(pair()[0], nn.Linear(2, 1)))
    with pytest.raises(ValueError, match=r"expected noise \(B, 3\), got \(16, 4\)"):
        run(replace(CONFIG, latent_size=4))
