// Looks again and again while somebody looks at the page, and seldom while Airflow is in trouble.

const EVERY = 2000;
const AT_MOST = 60000;

/**
 * @param {() => Promise<void>} look
 * @param {(error: Error) => void} trouble
 */
export function live(look, trouble) {
  let timer = 0, pause = EVERY, running = false;
  async function turn() {
    clearTimeout(timer);
    if (document.hidden || running) return;
    running = true;
    try {
      await look();
      pause = EVERY;
    } catch (error) {
      pause = error.status === 401 || error.status === 403 ? AT_MOST : Math.min(AT_MOST, pause * 2);
      trouble(error);
    } finally {
      running = false;
      timer = setTimeout(turn, pause);
    }
  }
  document.addEventListener("visibilitychange", turn);
  turn();
  return turn;
}
