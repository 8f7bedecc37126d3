// The sandbox' page: every control is one call to /sandbox.
const operations = ['*', 'login', 'refresh_token', 'account_groups', 'find_by_phone', 'insert_by_template', 'update', 'refill', 'transactions', 'get_balance_extended', 'get_by_id', 'register_check'];
const kinds = ['status', 'latency', 'garbage', 'html', 'truncated', 'wrong_type', 'hang', 'drip', 'oversized', 'reset_before', 'reset_after', 'error_after', 'hang_after'];
const $ = (id) => document.getElementById(id);
const rubles = (kopecks) => kopecks == null ? '–' : (kopecks / 100).toLocaleString('ru-RU', { minimumFractionDigits: 2 });
const say = (text) => { $('status').textContent = text; };

async function call(method, path, body) {
  const answer = await fetch('/sandbox' + path, { method, headers: body ? { 'Content-Type': 'application/json' } : {}, body: body && JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

function row(cells, numbers = []) {
  const tr = document.createElement('tr');
  cells.forEach((text, index) => {
    const td = document.createElement('td');
    td.textContent = text ?? '';
    if (numbers.includes(index)) td.className = 'number';
    tr.append(td);
  });
  return tr;
}

function options(select, values) {
  if (select.options.length === values.length) return;
  select.replaceChildren(...values.map(([value, text]) => new Option(text, value)));
}

let dialectShown = false;
async function show() {
  const [{ guests }, state, journal] = await Promise.all([call('GET', '/guests'), call('GET', ''), call('GET', '/journal')]);
  $('guests').replaceChildren(...guests.map((guest) => row([guest.name, guest.phone, rubles(guest.balance), `${guest.note} · ${guest.note_en}`], [2])));
  options(document.forms.till.elements.phone, guests.filter((guest) => guest.account_id).map((guest) => [guest.phone, `${guest.name} ${guest.phone}`]));
  options(document.forms.fault.elements.phone, [['', 'все'], ...guests.map((guest) => [guest.phone, `${guest.name} ${guest.phone}`])]);
  $('now').textContent = new Date(state.now).toLocaleString('ru-RU', { dateStyle: 'full', timeStyle: 'medium' });
  $('revoked').checked = state.revoked;
  $('faults').replaceChildren(...state.faults.map((fault) => { const li = document.createElement('li'); li.textContent = `${fault.operation}: ${fault.kind}${fault.phone ? ` ${fault.phone}` : ''}${fault.count ? ` × ${fault.count}` : ''}`; return li; }));
  if (!dialectShown) { document.forms.dialect.elements.dialect.value = JSON.stringify(state.dialect, null, 2); dialectShown = true; }
  $('journal').replaceChildren(...journal.calls.slice(0, 50).map((entry) => row([new Date(entry.at).toLocaleTimeString('ru-RU'), entry.operation, entry.method, entry.status, entry.fault], [3])));
}

function form(id, act) {
  document.forms[id].addEventListener('submit', async (event) => {
    event.preventDefault();
    try { say(await act(event.target.elements, event.submitter?.value) ?? 'Готово'); } catch (error) { say(error.message); }
    show().catch((error) => say(error.message));
  });
}

const number = (input) => input.value === '' ? undefined : Number(input.value);
options(document.forms.fault.elements.operation, operations.map((name) => [name, name]));
options(document.forms.fault.elements.kind, kinds.map((name) => [name, name]));
form('till', async ({ phone, sum, delay_days }, act) => {
  const body = act === 'refund' ? { phone: phone.value } : { phone: phone.value, sum: Math.round(number(sum) * 100), ...(act === 'purchase' ? { delay_days: number(delay_days) } : {}) };
  return `Баланс: ${rubles((await call('POST', `/till/${act}`, body)).balance)} ₽`;
});
form('clock', async (_, days) => { await call('POST', '/clock', { days: Number(days) }); });
form('reset', async () => { await call('POST', '/reset'); dialectShown = false; });
form('fault', async ({ operation, phone, kind, status, latency_ms, count }) => { await call('POST', '/faults', { operation: operation.value, phone: phone.value || undefined, kind: kind.value, status: number(status), latency_ms: number(latency_ms), count: number(count) }); });
form('clear', async () => { await call('DELETE', '/faults'); });
form('dialect', async ({ dialect }) => { await call('PUT', '/dialect', JSON.parse(dialect.value)); });
form('forget', async () => { await call('DELETE', '/journal'); });
$('revoked').addEventListener('change', (event) => call('PUT', '/credential', { revoked: event.target.checked }).catch((error) => say(error.message)));
const tick = () => { if (!document.hidden) show().catch((error) => say(error.message)); };
tick();
setInterval(tick, 3000);
