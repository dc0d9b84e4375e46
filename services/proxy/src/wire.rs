//! Frames and sockets: everything below the meaning of messages.
//!
//! Message types are `pgwire`'s where messages are made. Bodies from a socket are read with [`Body`] instead: `pgwire`'s
//! decoders trust the counts inside a body and turn SQL that is not UTF-8 into something else.

mod body;
mod frame;
mod frontend;
mod link;
mod rows;
mod side;
mod socket;

pub(crate) use body::{Body, Malformed};
pub(crate) use frame::{Frame, FrameError, FrameReader, Peer, encode, frame};
pub(crate) use frontend::{Bind, NamedObject, Parse, named_object};
pub(crate) use link::{Disconnect, Incoming, Interest, Link};
pub(crate) use rows::{command_tag, data_row, error_fields, field_shapes, fields, row_frame, with_count};
pub(crate) use side::Side;
pub(crate) use socket::Socket;
