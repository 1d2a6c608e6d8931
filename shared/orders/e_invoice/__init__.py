"""The e-invoice: what keeps a document from being one, what it says, and its XML in the syntaxes CII and UBL."""
