//! `describe` answers, with every member that the vendor's clients know.

use serde_json::{Map, Value, json};

use super::{Field, Kind, Object};

/// The entry of one object in the list of all objects.
pub(crate) fn summary(object: &Object, base: &str) -> Value {
    let own = format!("{base}/sobjects/{}", object.name);
    json!({
        "activateable": false,
        "createable": object.writable,
        "custom": false,
        "customSetting": false,
        "deletable": object.writable,
        "deprecatedAndHidden": false,
        "feedEnabled": false,
        "hasSubtypes": false,
        "isSubtype": false,
        "keyPrefix": object.key_prefix,
        "label": object.name,
        "labelPlural": object.label_plural,
        "layoutable": true,
        "mergeable": false,
        "mruEnabled": true,
        "name": object.name,
        "queryable": true,
        "replicateable": true,
        "retrieveable": true,
        "searchable": true,
        "triggerable": true,
        "undeletable": object.writable,
        "updateable": object.writable,
        "urls": {
            "sobject": own,
            "describe": format!("{own}/describe"),
            "rowTemplate": format!("{own}/{{ID}}"),
        },
    })
}

/// The whole answer of `sobjects/X/describe`.
pub(crate) fn describe(object: &Object, all: &[Object], base: &str) -> Value {
    let mut answer = summary(object, base);
    if let Some(map) = answer.as_object_mut() {
        map.insert("fields".to_owned(), object.fields.iter().map(field).collect());
        map.insert(
            "recordTypeInfos".to_owned(),
            json!([{
                "active": true, "available": true, "defaultRecordTypeMapping": true, "developerName": "Master",
                "master": true, "name": "Master", "recordTypeId": "012000000000000AAA", "urls": {}
            }]),
        );
        map.insert("childRelationships".to_owned(), children(object, all));
        map.insert("namedLayoutInfos".to_owned(), json!([]));
        map.insert("supportedScopes".to_owned(), json!([{ "label": "All", "name": "everything" }]));
    }
    answer
}

fn children(parent: &Object, all: &[Object]) -> Value {
    let mut list = Vec::new();
    for child in all {
        for field in child.fields.iter().filter(|f| f.reference_to == parent.name) {
            let owned = field.name == "AccountId";
            list.push(json!({
                "cascadeDelete": owned && child.name == "Contact",
                "childSObject": child.name,
                "deprecatedAndHidden": false,
                "field": field.name,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "relationshipName": if owned { json!(child.label_plural) } else { Value::Null },
                "restrictedDelete": owned && child.name == "Opportunity",
            }));
        }
    }
    Value::Array(list)
}

/// One full field object.
fn field(f: &Field) -> Value {
    let (kind, soap) = names(f.kind);
    let long_text = f.kind == Kind::TextArea && f.length > 255;
    let compound = f.kind == Kind::Address;
    let digits = if f.kind == Kind::Int { f.precision } else { 0 };
    let shown = json!({
        "aggregatable": !compound && !long_text,
        "aiPredictionField": false,
        "autoNumber": f.auto_number.is_some(),
        "byteLength": f.length * 3,
        "calculated": f.calculated(),
        "calculatedFormula": f.calculated().then(|| format!("{:?}", f.formula)),
        "cascadeDelete": false,
        "caseSensitive": f.external_id,
        "compoundFieldName": f.compound,
        "controllerName": null,
        "createable": f.createable,
        "custom": f.custom(),
        "defaultValue": if f.default.is_null() { Value::Null } else { f.default.clone() },
        "defaultValueFormula": null,
        "defaultedOnCreate": f.defaulted,
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "digits": digits,
        "displayLocationInDecimal": false,
        "encrypted": false,
        "externalId": f.external_id,
        "extraTypeInfo": null,
        "filterable": !compound && !long_text,
        "filteredLookupInfo": null,
        "formulaTreatNullNumberAsZero": false,
        "groupable": !compound && !long_text,
        "highScaleNumber": false,
        "htmlFormatted": false,
        "idLookup": f.external_id || matches!(f.kind, Kind::Id | Kind::Email),
        "inlineHelpText": null,
        "label": f.label,
        "length": f.length,
        "mask": null,
        "maskType": null,
        "name": f.name,
        "nameField": f.name_field,
        "namePointing": false,
        "nillable": f.nillable,
        "permissionable": f.createable && f.nillable,
    });
    let Value::Object(mut shown) = shown else {
        return Value::Null;
    };
    shown.extend(second_half(f, kind, soap, compound, long_text));
    Value::Object(shown)
}

fn second_half(f: &Field, kind: &str, soap: &str, compound: bool, long_text: bool) -> Map<String, Value> {
    let picks: Vec<Value> = f
        .picklist
        .iter()
        .map(|v| json!({ "active": true, "defaultValue": false, "label": v, "validFor": null, "value": v }))
        .collect();
    let references: Vec<&str> = Some(f.reference_to).into_iter().filter(|r| !r.is_empty()).collect();
    let shown = json!({
        "picklistValues": picks,
        "polymorphicForeignKey": false,
        "precision": if f.kind == Kind::Int { 0 } else { f.precision },
        "queryByDistance": false,
        "referenceTargetField": null,
        "referenceTo": references,
        "relationshipName": f.relationship,
        "relationshipOrder": null,
        "restrictedDelete": false,
        "restrictedPicklist": f.restricted,
        "scale": f.scale,
        "searchPrefilterable": f.kind == Kind::Reference,
        "soapType": soap,
        "sortable": !compound && !long_text && f.kind != Kind::MultiPicklist,
        "type": kind,
        "unique": f.external_id,
        "updateable": f.updateable,
        "writeRequiresMasterRead": false,
    });
    match shown {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The vendor's `type` and `soapType`.
fn names(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Id => ("id", "tns:ID"),
        Kind::Reference => ("reference", "tns:ID"),
        Kind::Text => ("string", "xsd:string"),
        Kind::TextArea => ("textarea", "xsd:string"),
        Kind::Email => ("email", "xsd:string"),
        Kind::Phone => ("phone", "xsd:string"),
        Kind::Url => ("url", "xsd:string"),
        Kind::Picklist => ("picklist", "xsd:string"),
        Kind::MultiPicklist => ("multipicklist", "xsd:string"),
        Kind::Boolean => ("boolean", "xsd:boolean"),
        Kind::Int => ("int", "xsd:int"),
        Kind::Double => ("double", "xsd:double"),
        Kind::Currency => ("currency", "xsd:double"),
        Kind::Percent => ("percent", "xsd:double"),
        Kind::Date => ("date", "xsd:date"),
        Kind::DateTime => ("datetime", "xsd:dateTime"),
        Kind::Address => ("address", "urn:address"),
    }
}
