"""Linear layers by oneDNN: the numbers of torch's up to rounding, and each row's alike in any company."""

import pytest
import torch
from torch.nn import functional

from stages.lib.forward import linear
from tests import tiny

needs_onednn = pytest.mark.skipif(linear.ONEDNN is None, reason="torch has no oneDNN here")


@pytest.fixture(scope="module")
def model():
    return tiny.wrap(tiny.random_model())


def tensors(*shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


@needs_onednn
@pytest.mark.parametrize("shape", [(5, 48), (3, 7, 48), (2, 1, 48), (1, 48)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_numbers_are_those_of_torch(shape, bias, model):
    x, weight, b = tensors(shape, (32, 48), (32,))
    expected = functional.linear(x, weight, b if bias else None)
    with linear.fast(model.device):
        assert functional.linear is not linear.TORCH
        result = functional.linear(x, weight, b if bias else None)
        turned = functional.linear(x.transpose(0, -1).contiguous().transpose(0, -1), weight)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(turned, functional.linear(x, weight))


@needs_onednn
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sizes", [(576, 1536), (1536, 576), (48, 32), (33, 277)])
def test_a_row_is_summed_alike_in_any_number_of_rows_but_one(sizes, threads, model):
    own = torch.get_num_threads()
    torch.set_num_threads(threads)
    x, weight = tensors((600, sizes[0]), sizes[::-1])
    with linear.fast(model.device):
        whole = functional.linear(x, weight)
        for n in (2, 3, 4, 7, 16, 31, 100, 333, 599):
            assert torch.equal(functional.linear(x[5 : 5 + n], weight), whole[5 : 5 + n])
    torch.set_num_threads(own)


@needs_onednn
def test_other_dtypes_and_gradients_of_weights_are_left_to_torch(model, monkeypatch):
    monkeypatch.setattr(linear, "ONEDNN", lambda *_: pytest.fail("not for oneDNN"))
    with linear.fast(model.device):
        for dtype in (torch.float64, torch.bfloat16):
            functional.linear(*tensors((4, 8), (6, 8), dtype=dtype))
        x, weight = tensors((4, 8), (6, 8))
        weight.requires_grad_(True)
        functional.linear(x, weight).sum().backward()
        torch.testing.assert_close(weight.grad, x.sum(dim=0).expand(6, 8))
        assert functional.linear(torch.empty(0, 8), weight.detach()).shape == (0, 6)


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_inputs_are_those_of_torch(model, bias):
    x, weight, b, by = tensors((2, 4, 8), (6, 8), (6,), (2, 4, 6))
    x.requires_grad_(True)
    own = b if bias else None
    (expected,) = torch.autograd.grad(functional.linear(x, weight, own), x, by)
    with linear.fast(model.device):
        (gradient,) = torch.autograd.grad(functional.linear(x, weight, own), x, by)
    torch.testing.assert_close(gradient, expected)


def test_outside_of_a_forward_torch_is_as_it_was(model):
    with pytest.raises(RuntimeError, match="stop"), linear.fast(model.device):
        raise RuntimeError("stop")
    assert functional.linear is linear.TORCH


def test_without_onednn_nothing_changes(model, monkeypatch):
    monkeypatch.setattr(linear, "ONEDNN", None)
    with linear.fast(model.device):
        assert functional.linear is linear.TORCH
