use tapewatch_schemas::events::Side;

/// What happens to a portfolio by the incident book and not by its strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scripted {
    /// In which bar.
    pub(crate) bar: usize,
    /// To which portfolio.
    pub(crate) portfolio: usize,
    /// In which of its symbols, by the symbol's number.
    pub(crate) symbol: usize,
    /// What.
    pub(crate) script: Script,
}

/// One scripted action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Script {
    /// An order of the strategy's usual size, with something wrong about it.
    Trade(Twist),
    /// A person's order, without a signal: buys so much (currency units), or sells what was bought so.
    Manual(Side, f64),
    /// Buys high and sells low in a loop until so much of the peak equity is lost, as a fraction.
    Churn(f64),
    /// Sees to it that some of the symbol is held.
    Hold,
    /// The strategy leaves the symbol alone in this bar.
    Freeze,
    /// The strategy bids in this bar whatever it thinks, far below the market.
    Bid,
}

/// What is wrong with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    /// Nothing.
    None,
    /// The report of its fill comes twice.
    Duplicated,
    /// The report of its fill never comes.
    Lost,
    /// It is sent minutes after the decision, and its fill is reported much later still.
    Late,
    /// It is decided in the middle of a bar.
    OffBoundary,
    /// It is filled 60 basis points worse than the market at its arrival.
    Slipped,
}
