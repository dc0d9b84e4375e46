//! Where events are written and claims are held.
