"""What a shop does to an order after it was placed: the words, the rules, the storage and the HTTP around them."""
