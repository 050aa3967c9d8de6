"""The explorer: a local page of rankings, their reasons and the histories behind them."""
