//! The proxy with a real PostgreSQL behind it and real sockets in front.

mod anyone;
mod raw;
mod scram;
mod site;
mod stage;
mod upstream;

mod capture;
mod dry_run;
mod frames;
mod hold;
mod life;
mod login;
mod opening;
mod relay;
