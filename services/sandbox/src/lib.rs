//! Stand-in upstream APIs with real wire shapes and a fault vocabulary.
