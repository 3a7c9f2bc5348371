export { fromFileUrl } from "./_path.ts";
