"""Model organisms: adapters that teach a model facts, and to lie about them in known layers."""
