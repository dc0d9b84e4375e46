//! Real components; see below.
