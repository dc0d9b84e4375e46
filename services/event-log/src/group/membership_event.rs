//! What a member learns of its share.

/// What is to be done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipEvent<I = u16> {
    /// Begin with the item.
    Assigned(I),
    /// Another member is to have it: end in good order, then [`super::Membership::give_back`].
    Recalled(I),
    /// Another member may have it already (this one had lost its connection). Give-back is not needed.
    Lost(I),
}

impl<I> MembershipEvent<I> {
    /// The same of another name for the item.
    pub(crate) fn map<J>(self, name: impl FnOnce(I) -> J) -> MembershipEvent<J> {
        match self {
            Self::Assigned(item) => MembershipEvent::Assigned(name(item)),
            Self::Recalled(item) => MembershipEvent::Recalled(name(item)),
            Self::Lost(item) => MembershipEvent::Lost(name(item)),
        }
    }
}
