export { isAbsolutePath as isAbsolute } from "./_path.ts";
