"""The operations of kernels.c as PyTorch functions with gradients; the same names as model.Plain."""
import ctypes
import os
import subprocess
import tempfile

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def compile_library():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "kernels.so")
        subprocess.run([os.environ.get("CC", "cc"), "-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC",
                        os.path.join(HERE, "kernels.c"), "-o", out, "-lm"], check=True)
        return ctypes.CDLL(out)  # stays loaded when the file is gone


LIBRARY = compile_library()


def call(name, *args):
    """Tensors go by address; they must be contiguous."""
    def convert(a):
        if isinstance(a, torch.Tensor):
            assert a.is_contiguous()
            return ctypes.c_void_p(a.data_ptr())
        return ctypes.c_float(a) if isinstance(a, float) else ctypes.c_long(a)
    getattr(LIBRARY, name)(*map(convert, args))


class Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, eps):
        x = x.contiguous()
        dim = x.shape[-1]
        out, scale = torch.empty(x.shape, dtype=torch.bfloat16), torch.empty(x.numel() // dim)
        call("norm_forward", x, weight, out, scale, len(scale), dim, float(eps))
        ctx.save_for_backward(x, weight, scale)
        return out

    @staticmethod
    def backward(ctx, g):
        x, weight, scale = ctx.saved_tensors
        threads = torch.get_num_threads()
        dx, dw = torch.empty_like(x), torch.zeros(threads, len(weight))
        call("norm_backward", g.contiguous(), x, weight, scale, dx, dw, len(scale), len(weight), threads)
        return dx, dw.sum(0), None


class SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate, up):
        ctx.save_for_backward(gate, up)
        out = torch.empty_like(gate)
        call("swiglu_forward", gate, up, out, out.numel())
        return out

    @staticmethod
    def backward(ctx, g):
        gate, up = ctx.saved_tensors
        dgate, dup = torch.empty_like(gate), torch.empty_like(up)
        call("swiglu_backward", g.contiguous(), gate, up, dgate, dup, g.numel())
        return dgate, dup


class Rotate(torch.autograd.Function):
    @staticmethod
    def turned(x, turn, sign):
        x, out = x.contiguous(), torch.empty(x.shape, dtype=x.dtype)
        call("rotate", x, out, torch.view_as_real(turn), *x.shape, sign)
        return out

    @staticmethod
    def forward(ctx, x, turn):
        ctx.save_for_backward(turn)
        return Rotate.turned(x, turn, 1.0)

    @staticmethod
    def backward(ctx, g):
        return Rotate.turned(g, ctx.saved_tensors[0], -1.0), None


class Attention(torch.autograd.Function):
    """q is [batch * kv_heads, group * time, head_dim], k and v [batch * kv_heads, time, head_dim]."""

    @staticmethod
    def forward(ctx, q, k, v, first):
        time = k.shape[1]
        p = torch.bmm(q, k.transpose(1, 2))
        ctx.args = (p.numel() // time ** 2, p.numel() // time ** 2 // len(first), time, float(k.shape[2] ** -0.5))
        call("softmax_forward", p, first, *ctx.args)
        ctx.save_for_backward(q, k, v, p, first)
        return torch.bmm(p, v)

    @staticmethod
    def backward(ctx, g):
        q, k, v, p, first = ctx.saved_tensors
        d = torch.bmm(g, v.transpose(1, 2))
        dv = torch.bmm(p.transpose(1, 2), g)
        call("softmax_backward", p, d, first, *ctx.args)
        return torch.bmm(d, k), torch.bmm(d.transpose(1, 2), q), dv, None


class CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, target, weight):
        loss = torch.empty(len(target))
        call("cross_entropy", logits, target, weight, loss, *logits.shape)
        ctx.save_for_backward(logits)
        return loss.sum()

    @staticmethod
    def backward(ctx, g):
        return ctx.saved_tensors[0].mul_(g.to(torch.bfloat16)), None, None


class Compiled:
    norm, swiglu, rotate, attend, loss = (f.apply for f in (Norm, SwiGLU, Rotate, Attention, CrossEntropy))
