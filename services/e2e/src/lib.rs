//! Whole-system scenarios on real components.
