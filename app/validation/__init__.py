"""What resources must look like: StructureDefinitions, compiled to functions over plain JSON."""
