// Building the page: elements from plain calls, never from text, so that nothing a guest or ProBonus wrote can become markup.

/** @typedef {Node | string | number | null | undefined | false} Leaf */
/** @typedef {Leaf | Leaf[]} Child */
/** @typedef {{ [name: string]: unknown }} Props */

/**
 * An element. Props that are functions become listeners (`onclick`), `true` an empty attribute; `false`, `null` and `undefined` are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props | null} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  dress(element, props ?? {});
  put(element, children);
  return element;
}

/**
 * An SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} props
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, props, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  dress(element, props);
  put(element, children);
  return element;
}

/**
 * @param {Element} element
 * @param {Props} props
 */
function dress(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === 'function') {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === 'value' && 'value' in element) {
      element.value = String(value);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

/**
 * Adds children, leaving out what is not there.
 * @param {Element} element
 * @param {Child[]} children
 */
function put(element, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
}

/**
 * Replaces what is inside.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  put(element, children);
}

/**
 * The page's element with that id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id} on the page`);
  return element;
}

const ICONS = {
  home: 'M4 11.2 12 4l8 7.2V19a1.5 1.5 0 0 1-1.5 1.5H15v-6H9v6H5.500A1.5 1.5 0 0 1 4 19z',
  history: 'M12 7.500V12l3 2M4.200 9.500A8.300 8.300 0 1 1 3.700 12M4 5v4.500h4.500',
  card: 'M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.500v2.500M20 14v.01M14 20h2.500M20 17v3h-.5',
  person: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.500 20.500c.6-3.700 3.700-6 7.500-6s6.900 2.300 7.500 6',
  refresh: 'M19.500 12a7.500 7.500 0 1 1-2.200-5.300L19.500 9M19.500 4.500V9H15',
  next: 'm9.500 6 6 6-6 6',
  back: 'm14.500 6-6 6 6 6',
  fire: 'M12 3.500c.5 3 5.500 5 5.500 10a5.500 5.500 0 0 1-11 0c0-2 1-3.500 2-4.500.3 1.500 1 2.500 2 2.500 1.500 0 1.500-4 1.500-8z',
  plus: 'M12 5.500v13M5.500 12h13',
  minus: 'M5.500 12h13',
  gift: 'M4.500 11.500h15v8.500h-15zM3.500 8h17v3.500h-17zM12 8v12M12 8C9 8 7.500 7 7.500 5.500S9 3.500 10 4.500 12 8 12 8zm0 0c3 0 4.500-1 4.500-2.500s-1.500-2-2.500-1S12 8 12 8z',
  back_arrow: 'M9.500 7 4.500 12l5 5M5 12h14.500',
  cloud: 'M7 18.500a4.500 4.500 0 0 1-.6-8.960A6 6 0 0 1 18 11.500a3.500 3.500 0 0 1 0 7zM4 4l16 16',
  receipt: 'M6 3.500h12v17l-2-1.500-2 1.500-2-1.500-2 1.500-2-1.500-2 1.500zM9 8h6M9 12h6',
  device:
    'M8 3.500h8a1.500 1.500 0 0 1 1.500 1.500v14a1.500 1.500 0 0 1-1.500 1.500H8A1.500 1.500 0 0 1 6.500 19V5A1.500 1.500 0 0 1 8 3.500zM11 17.500h2',
  phone:
    'M6 4h3.500l1.500 4.500-2 1.500a11 11 0 0 0 5 5l1.500-2 4.500 1.500V18a2 2 0 0 1-2 2A14.500 14.500 0 0 1 4 6a2 2 0 0 1 2-2z',
  lock: 'M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3',
  laptop: 'M5 5.500h14v10H5zM2.500 18.500h19',
  check: 'm5 12.500 4.500 4.500L19 7.500',
  clock: 'M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17zM12 7.500V12l3 2',
  pen: 'M4.500 19.500 5.500 15 16 4.500l3.500 3.500L9 18.500zM13.500 7l3.500 3.500',
};

/** @typedef {keyof typeof ICONS} IconName */

/**
 * A line icon; always beside words, so readers skip it.
 * @param {IconName} name
 */
export function icon(name) {
  const path = svg('path', { d: ICONS[name] });
  return svg('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' }, path);
}
