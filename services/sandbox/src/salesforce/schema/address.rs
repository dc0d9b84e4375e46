//! Address fields: components that can be written, and the compound that is made of them.

/// The components and the compound of an address called `<Prefix>Address`.
macro_rules! address {
    ($prefix:literal, $label:literal) => {
        vec![
            Field::new(concat!($prefix, "Street"), concat!($label, " Street"), Kind::TextArea)
                .len(255)
                .part_of(concat!($prefix, "Address")),
            Field::text(concat!($prefix, "City"), concat!($label, " City"), 40).part_of(concat!($prefix, "Address")),
            Field::text(concat!($prefix, "State"), concat!($label, " State/Province"), 80)
                .part_of(concat!($prefix, "Address")),
            Field::text(concat!($prefix, "PostalCode"), concat!($label, " Zip/Postal Code"), 20)
                .part_of(concat!($prefix, "Address")),
            Field::text(concat!($prefix, "Country"), concat!($label, " Country"), 80)
                .part_of(concat!($prefix, "Address")),
            Field::number(concat!($prefix, "Latitude"), concat!($label, " Latitude"), Kind::Double, 18, 15)
                .part_of(concat!($prefix, "Address")),
            Field::number(concat!($prefix, "Longitude"), concat!($label, " Longitude"), Kind::Double, 18, 15)
                .part_of(concat!($prefix, "Address")),
            Field::pick(
                concat!($prefix, "GeocodeAccuracy"),
                concat!($label, " Geocode Accuracy"),
                &["Address", "Street", "Block", "City", "State", "Unknown"],
            )
            .restricted()
            .len(40)
            .part_of(concat!($prefix, "Address")),
            Field::new(concat!($prefix, "Address"), concat!($label, " Address"), Kind::Address)
                .computed(Formula::Address($prefix)),
        ]
    };
}
pub(super) use address;
