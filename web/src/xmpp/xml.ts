/** Building and reading XML. Everything is made of nodes, never of strings, so nothing needs escaping. */

const maker = document.implementation.createDocument(null, 'x');

export type Attributes = Record<string, string | number | undefined>;
export type Content = Element | string | undefined | false;

/** An element of a namespace with attributes and content; what is `undefined` or `false` is left out. */
export function el(name: string, ns: string, attributes: Attributes = {}, ...content: Content[]): Element {
  const element = maker.createElementNS(ns, name);
  // The connection's serialiser writes attributes only.
  element.setAttribute('xmlns', ns);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, String(value));
  }
  for (const part of content) {
    if (typeof part === 'string') element.append(maker.createTextNode(part));
    else if (part) element.append(part);
  }
  return element;
}

/** The first child element of this name and namespace. */
export function child(parent: Element | null | undefined, name: string, ns: string): Element | undefined {
  return children(parent, name, ns)[0];
}

/** All child elements of this name and namespace. */
export function children(parent: Element | null | undefined, name: string, ns: string): Element[] {
  if (!parent) return [];
  return Array.from(parent.children).filter((each) => each.localName === name && namespace(each) === ns);
}

/** The text of the first such child. */
export function text(parent: Element | null | undefined, name: string, ns: string): string | undefined {
  return child(parent, name, ns)?.textContent ?? undefined;
}

/** An attribute, `undefined` where there is none. */
export function attr(element: Element | null | undefined, name: string): string | undefined {
  return element?.getAttribute(name) ?? undefined;
}

/** A form to submit (XEP-0004): its type and its fields. */
export function submit(type: string, fields: Record<string, string | string[]>): Element {
  const field = (name: string, values: string[], kind?: string) =>
    el('field', DATA, { var: name, type: kind }, ...values.map((value) => el('value', DATA, {}, value)));
  const rest = Object.entries(fields).map(([name, value]) => field(name, [value].flat()));
  return el('x', DATA, { type: 'submit' }, field('FORM_TYPE', [type], 'hidden'), ...rest);
}

const DATA = 'jabber:x:data';

function namespace(element: Element): string | null {
  return element.namespaceURI ?? element.getAttribute('xmlns');
}
