//! One field of an object, with the flags that `describe` shows and the write path obeys.

use serde_json::Value;

/// The vendor's field types, as far as the sandbox has fields of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    Reference,
    Text,
    TextArea,
    Email,
    Phone,
    Url,
    Picklist,
    MultiPicklist,
    Boolean,
    Int,
    Double,
    Currency,
    Percent,
    Date,
    DateTime,
    Address,
}

/// How a read-only field's value comes about when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formula {
    /// A compound address of the components that begin with this word.
    Address(&'static str),
    /// `FirstName LastName`.
    PersonName,
    /// `Rating` of the parent account: changes without the record's own stamp moving.
    AccountRating,
    /// `Amount * Probability / 100`.
    WeightedAmount,
    /// `Industry / BillingCity`.
    AccountSummary,
    /// Whether the stage ends the opportunity.
    IsClosed,
    /// Whether the stage is the won one.
    IsWon,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) kind: Kind,
    /// Most characters (text kinds), 0 otherwise.
    pub(crate) length: usize,
    /// Most digits in all (number kinds).
    pub(crate) precision: u32,
    /// Digits right of the point (number kinds).
    pub(crate) scale: u32,
    pub(crate) nillable: bool,
    pub(crate) createable: bool,
    pub(crate) updateable: bool,
    pub(crate) defaulted: bool,
    pub(crate) default: Value,
    pub(crate) auto_number: Option<&'static str>,
    pub(crate) external_id: bool,
    pub(crate) name_field: bool,
    pub(crate) compound: Option<&'static str>,
    pub(crate) picklist: &'static [&'static str],
    pub(crate) restricted: bool,
    pub(crate) reference_to: &'static str,
    pub(crate) relationship: Option<&'static str>,
    pub(crate) formula: Option<Formula>,
}

impl Field {
    pub(crate) fn new(name: &'static str, label: &'static str, kind: Kind) -> Self {
        Self {
            name,
            label,
            kind,
            length: 0,
            precision: 0,
            scale: 0,
            nillable: true,
            createable: true,
            updateable: true,
            defaulted: false,
            default: Value::Null,
            auto_number: None,
            external_id: false,
            name_field: false,
            compound: None,
            picklist: &[],
            restricted: false,
            reference_to: "",
            relationship: None,
            formula: None,
        }
    }

    pub(crate) fn id() -> Self {
        let mut field = Self::new("Id", "Record ID", Kind::Id).read_only();
        field.length = 18;
        field.nillable = false;
        field.defaulted = true;
        field
    }

    pub(crate) fn text(name: &'static str, label: &'static str, length: usize) -> Self {
        Self::new(name, label, Kind::Text).len(length)
    }

    pub(crate) fn number(name: &'static str, label: &'static str, kind: Kind, precision: u32, scale: u32) -> Self {
        let mut field = Self::new(name, label, kind);
        field.precision = precision;
        field.scale = scale;
        field
    }

    pub(crate) fn reference(
        name: &'static str,
        label: &'static str,
        to: &'static str,
        relationship: &'static str,
    ) -> Self {
        let mut field = Self::new(name, label, Kind::Reference).len(18);
        field.reference_to = to;
        field.relationship = Some(relationship);
        field
    }

    pub(crate) fn pick(name: &'static str, label: &'static str, values: &'static [&'static str]) -> Self {
        let mut field = Self::new(name, label, Kind::Picklist).len(255);
        field.picklist = values;
        field
    }

    pub(crate) fn checkbox(name: &'static str, label: &'static str) -> Self {
        let mut field = Self::new(name, label, Kind::Boolean).defaults_to(Value::Bool(false));
        field.nillable = false;
        field
    }

    pub(crate) fn len(mut self, length: usize) -> Self {
        self.length = length;
        self
    }

    pub(crate) fn required(mut self) -> Self {
        self.nillable = false;
        self
    }

    pub(crate) fn restricted(mut self) -> Self {
        self.restricted = true;
        self
    }

    pub(crate) fn named(mut self) -> Self {
        self.name_field = true;
        self
    }

    pub(crate) fn defaults_to(mut self, value: Value) -> Self {
        self.defaulted = true;
        self.default = value;
        self
    }

    /// Filled by the vendor on create when the caller gives nothing (`OwnerId`, `Probability`).
    pub(crate) fn defaulted(mut self) -> Self {
        self.defaulted = true;
        self
    }

    pub(crate) fn read_only(mut self) -> Self {
        self.createable = false;
        self.updateable = false;
        self
    }

    pub(crate) fn auto_number(mut self, prefix: &'static str) -> Self {
        self.auto_number = Some(prefix);
        self.nillable = false;
        self.defaulted = true;
        self.read_only()
    }

    pub(crate) fn computed(mut self, formula: Formula) -> Self {
        self.formula = Some(formula);
        self.read_only()
    }

    pub(crate) fn part_of(mut self, compound: &'static str) -> Self {
        self.compound = Some(compound);
        self
    }

    /// External id, unique, case-sensitive.
    pub(crate) fn external_id(mut self) -> Self {
        self.external_id = true;
        self
    }

    pub(crate) fn custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// A formula in the vendor's sense (compounds and derived flags are read-only, but not `calculated`).
    pub(crate) fn calculated(&self) -> bool {
        self.custom() && self.formula.is_some()
    }
}

/// The fields that every object ends with.
pub(super) fn system_fields() -> Vec<Field> {
    let stamp = |name, label| {
        let field = Field::new(name, label, Kind::DateTime).required().defaulted();
        field.read_only()
    };
    let user = |name, label, relationship| {
        let field = Field::reference(name, label, "User", relationship).required().defaulted();
        field.read_only()
    };
    vec![
        Field::checkbox("IsDeleted", "Deleted").read_only(),
        stamp("CreatedDate", "Created Date"),
        user("CreatedById", "Created By ID", "CreatedBy"),
        stamp("LastModifiedDate", "Last Modified Date"),
        user("LastModifiedById", "Last Modified By ID", "LastModifiedBy"),
        stamp("SystemModstamp", "System Modstamp"),
    ]
}
