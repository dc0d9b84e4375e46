//! `User`: only what references point at; the API cannot change it.

use super::field::{Field, Kind};

pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::text("Username", "Username", 80).required(),
        Field::text("Name", "Full Name", 121).required().named(),
        Field::new("Email", "Email", Kind::Email).len(128).required(),
        Field::checkbox("IsActive", "Active"),
    ]
}
