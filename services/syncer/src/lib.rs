//! Reads upstream and appends what it saw.
