"""What the tests of the laboratory stand on."""

import torch

# Tiny networks gain nothing from threads, and threads that wait for each other on a busy machine lose minutes.
torch.set_num_threads(1)
