"""The layouts that the domains are written in: those of four real data sets, traps included."""
