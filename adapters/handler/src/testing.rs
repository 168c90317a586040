//! A client without sockets, with a virtual clock (to be written).
