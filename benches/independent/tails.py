"""Value at risk and expected shortfall of a window of changes, oldest first, by docs/risk.md. Losses positive."""

from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()


def _acerbi_tasche(ascending, alpha):
    weight = len(ascending) * alpha
    whole = int(np.floor(weight))
    total = ascending[:whole].sum()
    if whole < len(ascending):
        total += (weight - whole) * ascending[whole]
    return total / weight


def _mean_below_quantile(ascending, alpha):
    return ascending[ascending <= np.quantile(ascending, alpha)].mean()


def _empyrical(ascending, alpha):
    return ascending[: int(np.floor((len(ascending) - 1) * alpha)) + 1].mean()


SHORTFALLS = {
    "acerbi_tasche": _acerbi_tasche,
    "mean_below_quantile": _mean_below_quantile,
    "empyrical": _empyrical,
}


def historical(changes, alpha, var):
    ascending = np.sort(changes)
    return np.quantile(ascending, alpha), SHORTFALLS[var["shortfall"]](ascending, alpha)


def _normal(mean, deviation, alpha):
    z = NORMAL.inv_cdf(alpha)
    return mean + deviation * z, mean - deviation * NORMAL.pdf(z) / alpha


def gaussian(changes, alpha, _var):
    return _normal(changes.mean(), changes.std(ddof=1), alpha)


def _power_integral(power, g):
    """The integral of z^power times the normal density, from minus infinity to g, but for the sign: as in
    Boudt, Peterson and Croux (2008), appendix."""
    density = NORMAL.pdf(g)
    if power % 2 == 0:
        steps = np.arange(2, power + 1, 2)
        first = np.prod(steps)
        return density * (first + sum(first / np.prod(steps[:i]) * g ** (2 * i) for i in range(1, len(steps) + 1)))
    steps = np.arange(1, power + 1, 2)
    last = np.prod(steps)
    terms = sum(last / np.prod(steps[: i + 1]) * g ** (2 * i + 1) for i in range(len(steps)))
    return density * terms - last * NORMAL.cdf(g)


def cornish_fisher(changes, alpha, _var, steps=1):
    mean, deviation = steps * changes.mean(), np.sqrt(steps) * changes.std()
    if deviation == 0.0:
        return mean, mean
    standard = (changes - changes.mean()) / changes.std()
    skew, kurtosis = (standard**3).mean() / np.sqrt(steps), ((standard**4).mean() - 3.0) / steps
    z = NORMAL.inv_cdf(alpha)
    g = z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * kurtosis / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    power, density = (lambda q: _power_integral(q, g)), NORMAL.pdf(g)
    beyond = (
        density
        + (power(4) - 6 * power(2) + 3 * density) * kurtosis / 24
        + (power(3) - 3 * power(1)) * skew / 6
        + (power(6) - 15 * power(4) + 45 * power(2) - 15 * density) * skew**2 / 72
    )
    return mean + deviation * g, mean + deviation * min(-beyond / alpha, g)


def _deviations(changes, weight):
    """The EWMA deviation forecast for each change, and for the next one; begun with the first change's square."""
    variances = [changes[0] ** 2]
    for change in changes:
        variances.append(weight * variances[-1] + (1 - weight) * change**2)
    return np.sqrt(variances)


def _from_the_first_move(changes):
    moves = np.flatnonzero(changes)
    return changes[moves[0] :] if len(moves) else changes[:0]


def ewma(changes, alpha, var):
    changes = _from_the_first_move(changes)
    return _normal(0.0, _deviations(changes, var["lambda"])[-1] if len(changes) else 0.0, alpha)


def filtered(changes, alpha, var):
    changes = _from_the_first_move(changes)
    if not len(changes):
        return 0.0, 0.0
    deviations = _deviations(changes, var["lambda"])
    ascending = np.sort(changes[1:] / deviations[1:-1]) * deviations[-1]
    return np.quantile(ascending, alpha), _acerbi_tasche(ascending, alpha)


def age_weighted(changes, alpha, var):
    """Boudoukh, Richardson and Whitelaw (1998): a change weighs lambda times as much as the next one."""
    ages = np.arange(len(changes) - 1, -1, -1)
    shares = var["age_lambda"] ** ages
    shares = shares / shares.sum()
    order = np.argsort(changes, kind="stable")
    ascending, shares = changes[order], shares[order]
    reached = np.cumsum(shares)
    at = min(int(np.searchsorted(reached, alpha)), len(changes) - 1)
    before = reached[at] - shares[at]
    return ascending[at], ((ascending[:at] * shares[:at]).sum() + (alpha - before) * ascending[at]) / alpha


def over(model, changes, alpha, var, steps):
    """The same of the sum of so many successive changes, by the model's convention."""
    if steps == 1:
        return MODELS[model](changes, alpha, var)
    if model in ("historical", "age_weighted"):
        return MODELS[model](np.convolve(changes, np.ones(steps), "valid"), alpha, var)
    if model == "gaussian":
        return _normal(steps * changes.mean(), np.sqrt(steps) * changes.std(ddof=1), alpha)
    if model == "cornish_fisher":
        return cornish_fisher(changes, alpha, var, steps)
    return tuple(np.sqrt(steps) * figure for figure in MODELS[model](changes, alpha, var))


MODELS = {
    "historical": historical,
    "gaussian": gaussian,
    "cornish_fisher": cornish_fisher,
    "ewma": ewma,
    "filtered": filtered,
    "age_weighted": age_weighted,
}


def levels(var):
    """How the names of the measures of each level end, with the probability of the tail."""
    for level in var["levels"]:
        points = round(level * 10_000)
        yield f"{points // 100}" + (f"_{points % 100:02}".rstrip("0") if points % 100 else ""), (10_000 - points) / 10_000


def names(var):
    """How the names of the measures of each model of changes and level end, as the settings `[risk.var]` want them: with
    the model and the probability of the tail."""
    for model in var["models"]:
        for level, alpha in levels(var) if model in MODELS else ():
            yield level + ("" if model == "historical" else f"_{model}"), model, alpha


def _losses(name, quantile, shortfall):
    return {f"var_{name}": -quantile, f"es_{name}": -shortfall}


def endings(var):
    """How the names of measures over each horizon end, with its steps."""
    return [("" if steps == 1 else f"_h{steps}", steps) for steps in var.get("horizons", [1])]


def measures(changes, var):
    """Each measure's name and value."""
    found = {}
    for name, model, alpha in names(var):
        for ending, steps in endings(var):
            found |= _losses(name + ending, *over(model, changes, alpha, var, steps))
    return found


def contributions(values, rows, positions, var):
    """What each position contributes at the highest level, by name: `values` are those that the figures are of, with rows
    of their symbols' returns; `positions` those of now. The largest are named, the rest is one figure."""
    if not var.get("contributions") or "revalued" not in var["models"]:
        return {}
    name, alpha = list(levels(var))[-1]
    symbols, held = list(values), np.array(list(values.values()))
    weights = dict(zip(("var", "es"), _scenarios(rows @ held, alpha, var))) if symbols else {}
    components = {kind: held * (of @ rows) for kind, of in weights.items()}
    order = np.argsort(-np.abs(components["es"]), kind="stable") if symbols else []
    named, rest = order[: var["contributions"]], order[var["contributions"] :]
    found = {}
    for kind in ("var", "es"):
        found[f"{kind}_{name}_revalued_component_other"] = -sum((components[kind][at] for at in rest), 0.0)
    for at in named:
        others = historical(rows @ held - rows[:, at] * held[at], alpha, var)
        figures = historical(rows @ held, alpha, var)
        for kind, total, without in zip(("var", "es"), figures, others):
            of = f"{kind}_{name}_revalued"
            found[f"{of}_component:{symbols[at]}"] = -components[kind][at]
            found[f"{of}_marginal:{symbols[at]}"] = -(weights[kind] @ rows)[at]
            found[f"{of}_incremental:{symbols[at]}"] = -(total - without)
        found[f"position:{symbols[at]}"] = positions[symbols[at]]
    return found


def _scenarios(profits, alpha, var):
    """How much of each scenario value at risk is, and the shortfall."""
    ascending = np.argsort(profits, kind="stable")
    # Both figures are linear in the sorted profits: what each says of one of them alone is its weight.
    count, at = len(profits), (len(profits) - 1) * alpha
    quantile, shortfall = np.zeros(count), np.zeros(count)
    below = int(np.floor(at))
    quantile[ascending[below]] += 1 - (at - below)
    quantile[ascending[min(below + 1, count - 1)]] += at - below
    if var["shortfall"] == "acerbi_tasche":
        whole = int(np.floor(count * alpha))
        shortfall[ascending[:whole]] = 1 / (count * alpha)
        if whole < count:
            shortfall[ascending[whole]] = (count * alpha - whole) / (count * alpha)
    else:
        of_empyrical = int(np.floor(at)) + 1
        of_mean = int((profits <= np.quantile(profits, alpha)).sum())
        worst = ascending[: of_empyrical if var["shortfall"] == "empyrical" else of_mean]
        shortfall[worst] = 1 / len(worst)
    return quantile, shortfall


def shape_of(model):
    """What a model makes of the profits of what is held now; none if it is of changes."""
    return None if not model.startswith("revalued") else model.removeprefix("revalued").lstrip("_") or "historical"


def revalued_names(var):
    """How the names of the measures of each model of what is held now and level end, with what it makes of the profits
    and the probability of the tail."""
    for model in var["models"]:
        for level, alpha in levels(var) if shape_of(model) else ():
            yield f"{level}_{model}", shape_of(model), alpha


def revalued(profits, var):
    """Each measure of what is held now, of the profits that it would have made over so many steps."""
    found = {}
    for name, shape, alpha in revalued_names(var):
        for ending, steps in endings(var):
            # Two are of the profits over so many steps, the others scale what they say of one.
            stretches = shape in ("historical", "age_weighted")
            of = profits(steps if stretches else 1)
            moved = over(shape, of, alpha, var, 1 if stretches else steps) if of.any() else (0.0, 0.0)
            found |= _losses(name + ending, *moved)
    return found
