/** A module that does nothing: what Deno itself costs. */
