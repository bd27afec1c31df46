#!/usr/bin/env python3
"""A deep network: the unmixing autoencoder DAEU of Palsson et al. 2018, our implementation.

    daeu.py --scene scene.npz -k 3 --out result.npz [--seed 0] [--spectra 2000] [--epochs 40]

Palsson, Sigurdsson, Sveinsson & Ulfarsson, "Hyperspectral Unmixing Using a Neural Network
Autoencoder", IEEE Access 6, 2018, doi:10.1109/ACCESS.2018.2818280, in PyTorch; settings are those
of the code that its first author has published: layers of 9K, 6K, 3K and K leaky rectifiers (0.1)
without bias, batch normalisation, shares of sum one, Gaussian dropout (0.0045), a linear decoder
whose weights are the spectra, not negative; spectral angle as loss, RMSprop(0.001), 2,000 spectra
drawn by chance, in batches of 6, 40 times over. Takes a GPU where PyTorch sees one.

One thing differs, in its favour: shares are a softmax, as in the authors' later CNNAEU. With the
threshold and division of the original, pixels below all thresholds have no shares at all: an RMSE
of 0.19 to 0.38 instead of 0.08 to 0.09 on a simulated scene, of 0.10 to 0.20 instead of 0.08 to
0.12 on Samson.
"""
import numpy as np

import common

BATCH, RATE, SLOPE, DROPOUT = 6, 0.001, 0.1, 0.0045


def network(torch, bands, count):
    """The autoencoder: `encode` gives shares, `decode` (a parameter) is spectra (bands, K)."""
    nn = torch.nn

    class Autoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [bands, 9 * count, 6 * count, 3 * count, count]
            layers = []
            for size, following in zip(sizes, sizes[1:]):
                linear = nn.Linear(size, following, bias=False)
                nn.init.xavier_uniform_(linear.weight)
                layers += [linear, nn.LeakyReLU(SLOPE)]
            # Keras, in which the authors wrote, has other constants than PyTorch.
            self.layers = nn.Sequential(*layers, nn.BatchNorm1d(count, eps=1e-3, momentum=0.01))
            self.decode = nn.Parameter(torch.empty(bands, count))
            nn.init.xavier_uniform_(self.decode)

        def encode(self, spectra):
            return torch.softmax(self.layers(spectra), dim=1)

        def forward(self, spectra):
            shares = self.encode(spectra)
            if self.training:
                shares = shares * (1 + (DROPOUT / (1 - DROPOUT)) ** 0.5 * torch.randn_like(shares))
            return shares @ self.decode.T

    return Autoencoder()


def train(torch, model, spectra, epochs):
    """Least spectral angle between spectra (drawn, bands) and what is decoded."""
    optimizer = torch.optim.RMSprop(model.parameters(), lr=RATE, alpha=0.9, eps=1e-7)
    with torch.no_grad():
        model.decode.clamp_(min=0.0)
    for _ in range(epochs):
        order = torch.randperm(len(spectra), device=spectra.device)
        for batch in order.split(BATCH):
            wanted = spectra[batch]
            cosine = torch.cosine_similarity(model(wanted), wanted, dim=1, eps=1e-7)
            loss = torch.arccos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                model.decode.clamp_(min=0.0)
    return float(loss.detach())


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--spectra", type=int, default=2000, help="spectra to learn from")
    parser.add_argument("--epochs", type=int, default=40)
    args = parser.parse_args()
    stages = common.Stages()
    import torch

    stages.done("import")
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cube = common.read(args.scene)
    spectra = torch.tensor(cube.reshape(-1, cube.shape[-1]), dtype=torch.float32, device=device)
    drawn = torch.randint(len(spectra), (args.spectra,), device=device)
    model = network(torch, cube.shape[-1], args.endmembers).to(device)
    loss = train(torch, model, spectra[drawn], args.epochs)
    stages.done("fit")
    model.eval()
    with torch.no_grad():
        abundances = model.encode(spectra).cpu().numpy().reshape(*cube.shape[:2], -1)
        endmembers = model.decode.T.cpu().numpy()
    common.write(args, "daeu", stages, np.asarray(endmembers), abundances, device,
                 said=dict(loss=loss))


if __name__ == "__main__":
    main()
