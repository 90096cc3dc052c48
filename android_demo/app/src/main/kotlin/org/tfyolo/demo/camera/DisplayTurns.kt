package org.tfyolo.demo.camera

import android.content.Context
import android.hardware.display.DisplayManager

/** Hears of every turn of the display. From one landscape to the other, nobody tells the activity. */
class DisplayTurns(context: Context, private val onTurn: () -> Unit) : DisplayManager.DisplayListener {
    private val manager = context.getSystemService(Context.DISPLAY_SERVICE) as DisplayManager

    fun start() = manager.registerDisplayListener(this, null)

    fun stop() = manager.unregisterDisplayListener(this)

    override fun onDisplayChanged(id: Int) = onTurn()

    override fun onDisplayAdded(id: Int) = Unit

    override fun onDisplayRemoved(id: Int) = Unit
}
