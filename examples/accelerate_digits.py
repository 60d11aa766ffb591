"""An ordinary script for `accelerate launch`: nothing in it knows of GPU Workbench.

Real data: the 1,797 digits that scikit-learn ships. Metrics go to TensorBoard through Accelerate's
own tracker.
"""

from __future__ import annotations

import argparse

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--lr", type=float, default=3e-3)
    chosen = options.parse_args()

    accelerator = Accelerator(log_with="tensorboard", project_dir="tensorboard")
    accelerator.init_trackers("digits", config=vars(chosen))
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    train, test = TensorDataset(x[:1500], y[:1500]), TensorDataset(x[1500:], y[1500:])

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), chosen.lr)
    model, optimizer, batches, tests = accelerator.prepare(
        model,
        optimizer,
        DataLoader(train, batch_size=50, shuffle=True),
        DataLoader(test, batch_size=99),
    )
    step = 0
    for epoch in range(chosen.epochs):
        for inputs, wanted in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), wanted)
            accelerator.backward(loss)
            optimizer.step()
            step += 1
            accelerator.log({"loss": loss.item()}, step=step)
        right = torch.tensor(0, device=accelerator.device)
        with torch.no_grad():
            for inputs, wanted in tests:
                said, wanted = accelerator.gather_for_metrics((model(inputs).argmax(1), wanted))
                right += (said == wanted).sum()
        accuracy = right.item() / len(test)
        accelerator.log({"accuracy": accuracy}, step=step)
        accelerator.print(f"epoch {epoch}: {accuracy:.1%} right")
    accelerator.end_training()


if __name__ == "__main__":
    main()
