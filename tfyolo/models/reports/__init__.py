"""Reports about models: diagrams and block profiles."""
