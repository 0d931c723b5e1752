"""`python -m model.kernels` compiles the kernels, so that the first start need not."""

import time

from model.kernels.warming import warm

if __name__ == "__main__":
    began = time.perf_counter()
    warm()
    print(f"The kernels are compiled ({time.perf_counter() - began:.0f} s).")
